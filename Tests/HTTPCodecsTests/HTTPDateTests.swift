import HTTPCodecs
import Testing

@Suite("Dates read and write as RFC 9110 has them")
struct HTTPDateTests {
    static let known: [(Int64, String)] = [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
        (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
        (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
        (2_147_483_648, "Tue, 19 Jan 2038 03:14:08 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (-2_203_891_200, "Thu, 01 Mar 1900 00:00:00 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (-62_167_219_200, "Sat, 01 Jan 0000 00:00:00 GMT"),
    ]

    @Test("in the preferred form, both ways", arguments: known)
    func roundTripsKnownDates(_ seconds: Int64, _ date: String) {
        #expect(HTTPDate.format(secondsSinceEpoch: seconds) == date)
        #expect(HTTPDate.parse(date) == seconds)
        let written = output(capacity: HTTPDate.byteCount) { out in
            HTTPDate.format(secondsSinceEpoch: seconds, into: &out)
        }
        #expect(text(written) == date)
    }

    @Test("on every day of eight hundred years, weekdays in turn")
    func roundTripsEveryDay() {
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        // 1600-01-01 to 2400-01-01, at changing times of the day.
        var failures: [Int64] = []
        for day in Int64(-135_140)...157_054 {
            let seconds = day * 86_400 + (day & 0xFFFF)
            let date = HTTPDate.format(secondsSinceEpoch: seconds)
            let weekday = weekdays[Int((day % 7 + 7) % 7)]
            if HTTPDate.parse(date) != seconds || !date.hasPrefix(weekday) { failures.append(seconds) }
        }
        #expect(failures.isEmpty)
    }

    @Test("clamped to the years of four digits", arguments: [Int64.max, 253_402_300_800])
    func clampsFarDates(_ seconds: Int64) {
        #expect(HTTPDate.format(secondsSinceEpoch: seconds) == "Fri, 31 Dec 9999 23:59:59 GMT")
        #expect(HTTPDate.format(secondsSinceEpoch: -seconds) == "Sat, 01 Jan 0000 00:00:00 GMT")
        #expect(HTTPDate.format(secondsSinceEpoch: .min) == "Sat, 01 Jan 0000 00:00:00 GMT")
    }

    @Test(
        "in the obsolete forms, too",
        arguments: [
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777), ("Sun Nov  6 08:49:37 1994", 784_111_777),
            ("Wednesday, 09-Sep-98 00:00:00 GMT", 905_299_200), ("Sat Nov 26 08:49:37 1994", 785_839_777),
            ("Tuesday, 29-Feb-00 00:00:00 GMT", 951_782_400), ("Sun Nov 06 08:49:37 1994", 784_111_777),
            ("Saturday, 31-Dec-69 23:59:59 GMT", 3_155_759_999), ("Thursday, 01-Jan-70 00:00:00 GMT", 0),
        ] as [(String, Int64)]
    )
    func parsesObsoleteForms(_ date: String, _ seconds: Int64) {
        #expect(HTTPDate.parse(date) == seconds)
    }

    @Test("with a leap second counted as the second after it")
    func acceptsLeapSeconds() {
        #expect(HTTPDate.parse("Sat, 31 Dec 2016 23:59:60 GMT") == 1_483_228_800)
    }

    @Test(
        "with two-digit years at most fifty years ahead",
        arguments: [
            ("Sun, 06 Nov 1994 00:00:00 GMT", "94", "1994"), ("Sun, 06 Nov 1994 00:00:00 GMT", "05", "2005"),
            ("Sun, 06 Nov 1994 00:00:00 GMT", "44", "2044"), ("Sun, 06 Nov 1994 00:00:00 GMT", "45", "1945"),
            ("Sat, 01 Jan 2000 00:00:00 GMT", "99", "1999"), ("Sat, 01 Jan 2000 00:00:00 GMT", "50", "2050"),
            ("Sat, 01 Jan 2000 00:00:00 GMT", "51", "1951"), ("Sat, 01 Jan 2026 00:00:00 GMT", "26", "2026"),
            ("Sat, 01 Jan 2026 00:00:00 GMT", "76", "2076"), ("Sat, 01 Jan 2026 00:00:00 GMT", "77", "1977"),
            ("Sat, 01 Jan 2060 00:00:00 GMT", "05", "2105"), ("Sat, 01 Jan 2060 00:00:00 GMT", "11", "2011"),
        ]
    )
    func tellsTheCentury(_ now: String, _ short: String, _ full: String) throws {
        let now = try #require(HTTPDate.parse(now))
        let expected = try #require(HTTPDate.parse("Sun, 06 Nov \(full) 08:49:37 GMT"))
        #expect(HTTPDate.parse("Sunday, 06-Nov-\(short) 08:49:37 GMT", now: now) == expected)
    }

    @Test(
        "and nothing else is one",
        arguments: [
            "", "0", "-1", "Thu", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 gmt",
            "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
            "sun, 06 Nov 1994 08:49:37 GMT", "Xyz, 06 Nov 1994 08:49:37 GMT", "Sun,06 Nov 1994 08:49:37 GMT",
            "Sun, 06  Nov 1994 08:49:37 GMT", " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 32 Oct 1994 08:49:37 GMT",
            "Sun, 29 Feb 1900 08:49:37 GMT", "Sun, 29 Feb 2023 08:49:37 GMT", "Sun, 30 Feb 2024 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT!", "Sun, 06 Nov 1994 08-49-37 GMT", "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov -994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT\0", "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT", "Sunday, 06 Nov 1994 08:49:37 GMT",
            "SunDAY, 06-Nov-94 08:49:37 GMT", "Someday, 06-Nov-94 08:49:37 GMT", "Sunday, 31-Nov-94 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 EST",
            "Sun Nov 6 08:49:37 1994", "Sun Nov  6 08:49:37 94", "Sun Nov  6 08:49:37 1994 GMT",
            "Sun Nov  0 08:49:37 1994",
            "Sun Nov 31 08:49:37 1994", "Sun, 06 N\u{F6}v 1994 08:49:37 GMT",
            "2024-02-29T00:00:00Z, which is another form",
        ]
    )
    func refusesWhatIsNoDate(_ date: String) {
        #expect(HTTPDate.parse(date) == nil)
    }

    @Test("and fields are set to them")
    func setsFields() throws {
        var headers = HeaderMap()
        try headers.append(.date, "yesterday")
        headers.set(.date, date: 784_111_777)
        #expect(headers.values(.date) == ["Sun, 06 Nov 1994 08:49:37 GMT"])
    }
}
