/// Writes the text format of Prometheus, version 0.0.4, into one run of bytes.
struct TextExposition {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int) {
        bytes.reserveCapacity(capacity)
    }

    /// Writes the lines of a family.
    mutating func write(_ family: Family.Reading) {
        if !family.help.isEmpty {
            write("# HELP ")
            write(family.name)
            write(" ")
            write(Names.escapedHelp(family.help))
            write("\n")
        }
        write("# TYPE ")
        write(family.name)
        write(" ")
        write(family.kind.rawValue)
        write("\n")
        for series in family.series {
            switch series {
            case .counter(let counter): write(family.name, labels: counter.identity.text, value: counter.value)
            case .gauge(let gauge): write(family.name, labels: gauge.identity.text, value: gauge.value)
            case .histogram(let histogram): write(histogram, name: family.name)
            }
        }
    }

    private mutating func write(_ histogram: HistogramSeries, name: String) {
        let (cumulative, sum) = histogram.read()
        let labels = histogram.identity.text
        for (index, count) in cumulative.enumerated() {
            write(name)
            write("_bucket{")
            write(labels)
            write(labels.isEmpty ? "le=\"" : ",le=\"")
            write(index < histogram.layout.texts.count ? histogram.layout.texts[index] : "+Inf")
            write("\"} ")
            write(String(count))
            write("\n")
        }
        write(name, suffix: "_sum", labels: labels, value: sum)
        write(name, suffix: "_count", labels: labels, value: Double(cumulative.last ?? 0))
    }

    /// Writes one line.
    private mutating func write(_ name: String, suffix: String = "", labels: String, value: Double) {
        write(name)
        write(suffix)
        if !labels.isEmpty {
            write("{")
            write(labels)
            write("}")
        }
        write(" ")
        write(Self.text(of: value))
        write("\n")
    }

    private mutating func write(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    /// The shortest text that is read as the same number again: what is whole, without a fraction.
    static func text(of value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value), abs(value) < 1e16 { return String(whole) }
        return value.description
    }
}
