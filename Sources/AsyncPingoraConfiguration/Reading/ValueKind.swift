internal import AsyncTransport
internal import Logging
internal import Yams

/// What a value may be: what to tell somebody who wrote something else, and how to read it.
struct ValueKind<Value> {
    /// Ends the sentence "expected …".
    var expected: String
    /// Nil when it is not such a value.
    var parse: (Node.Scalar) -> Value?
}

extension ValueKind where Value == String {
    /// A path, a name: any text that is not empty.
    static func text(_ what: String) -> ValueKind {
        ValueKind(expected: what) { $0.isNothing || $0.string.isEmpty || $0.string.contains("\0") ? nil : $0.string }
    }

    static var path: ValueKind { text("a path") }
}

extension ValueKind where Value == Bool {
    static var flag: ValueKind {
        ValueKind(expected: "true or false") { scalar in
            switch scalar.isPlain ? scalar.string : "" {
            case "true", "True", "TRUE": true
            case "false", "False", "FALSE": false
            default: nil
            }
        }
    }
}

extension ValueKind where Value == Int {
    static func integer(_ range: ClosedRange<Int>) -> ValueKind {
        ValueKind(expected: "a whole number, \(range.lowerBound) to \(range.upperBound)") { scalar in
            guard scalar.isPlain, let number = Numerals.integer(scalar.string) else { return nil }
            return range.contains(number) ? number : nil
        }
    }

    /// A number of bytes: `65536`, `64KiB`, `1MiB`.
    static func byteCount(_ range: ClosedRange<Int>) -> ValueKind {
        let bounds = "\(range.lowerBound) to \(range.upperBound)"
        return ValueKind(expected: "a size such as 65536, 64KiB or 1MiB, \(bounds)") { scalar in
            Numerals.byteCount(scalar.string).flatMap { range.contains($0) ? $0 : nil }
        }
    }
}

extension ValueKind where Value == UInt32 {
    static var fileMode: ValueKind {
        ValueKind(expected: "a file mode in octal such as 0660") { scalar in
            let digits = scalar.string.utf8
            guard (3...4).contains(digits.count), digits.first != UInt8(ascii: "+") else { return nil }
            return UInt32(scalar.string, radix: 8)
        }
    }
}

extension ValueKind where Value == Duration {
    /// A time that is not zero: `30` (seconds), `1.5s`, `500ms`, `2m`, `1h`.
    static var duration: ValueKind {
        ValueKind(expected: "a duration such as 30s, 500ms or 2m") { scalar in
            guard let duration = Numerals.duration(scalar.string), duration > .zero else { return nil }
            return duration
        }
    }

    static func seconds(_ range: ClosedRange<Int>) -> ValueKind {
        let number = ValueKind<Int>.integer(range)
        return ValueKind(expected: "a number of seconds, \(range.lowerBound) to \(range.upperBound)") { scalar in
            number.parse(scalar).map { .seconds($0) }
        }
    }
}

extension ValueKind where Value == Duration? {
    /// A time, or none.
    static var timeout: ValueKind {
        ValueKind(expected: "a duration such as 30s, 500ms or 2m, or 'never'") { scalar in
            if scalar.string == "never" { return .some(nil) }
            return ValueKind<Duration>.duration.parse(scalar).map { .some($0) }
        }
    }
}

extension ValueKind where Value == Int? {
    /// A whole number from 1 on, or none.
    static var limit: ValueKind {
        ValueKind(expected: "a whole number, 1 or more, or 'none'") { scalar in
            if scalar.string == "none" { return .some(nil) }
            return ValueKind<Int>.integer(1...Int.max).parse(scalar).map { .some($0) }
        }
    }
}

extension ValueKind where Value == SocketAddress {
    static var address: ValueKind {
        ValueKind(expected: "an address such as 127.0.0.1:80, [::1]:80 or unix:/path") { SocketAddress($0.string) }
    }

    /// The address of an interface, without a port.
    static func host(isIPv6: Bool) -> ValueKind {
        ValueKind(expected: isIPv6 ? "an IPv6 address" : "an IPv4 address") { scalar in
            guard scalar.string.contains(":") == isIPv6, !scalar.string.hasPrefix("[") else { return nil }
            return SocketAddress(host: scalar.string, port: 0)
        }
    }
}

extension ValueKind {
    /// One of some words.
    static func word(_ words: KeyValuePairs<String, Value>) -> ValueKind {
        let names = words.map { $0.key }
        let list = names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
        return ValueKind(expected: list) { scalar in words.first { $0.key == scalar.string }?.value }
    }
}

extension ValueKind where Value == Logger.Level {
    static var logLevel: ValueKind {
        let names = Logger.Level.allCases.map(\.rawValue)
        return ValueKind(expected: names.dropLast().joined(separator: ", ") + " or critical") {
            Logger.Level(rawValue: $0.string)
        }
    }
}
