/// What the sockets are that a hand-over passes, in the order of their descriptors.
package struct HandoverManifest: Equatable {
    /// A listening socket.
    package struct Entry: Equatable {
        /// The service that has it.
        package var service: String
        /// The address that was asked for, where a port 0 is one of the kernel's choice.
        package var requested: String
        /// The address that it has.
        package var address: String
        /// Whether a third process keeps the socket for good, as systemd does.
        package var staysShared: Bool

        package init(service: String, requested: String, address: String, staysShared: Bool = false) {
            self.staysShared = staysShared
            self.service = service
            self.requested = requested
            self.address = address
        }
    }

    /// No name or address is longer, in bytes.
    package static let maximumTextLength = 1_024

    package var entries: [Entry]

    /// The body of a message: for each socket 1 or 0 (1), whether it stays shared, and three texts, each with its length (2) before it.
    ///
    /// - Throws: ``UpgradeError`` when there are too many sockets for a message, or a name is too long.
    package func encode() throws(UpgradeError) -> [UInt8] {
        var bytes: [UInt8] = []
        for entry in entries {
            bytes.append(entry.staysShared ? 1 : 0)
            for text in [entry.service, entry.requested, entry.address] {
                let utf8 = Array(text.utf8)
                guard utf8.count <= Self.maximumTextLength else {
                    throw UpgradeError("a name of \(utf8.count) bytes is too long to be handed over")
                }
                bytes.append(bigEndian: UInt16(utf8.count))
                bytes += utf8
            }
        }
        guard entries.count <= HandoverFrame.maximumDescriptorCount, bytes.count <= HandoverFrame.maximumBodyLength
        else {
            throw UpgradeError("\(entries.count) sockets are too many to be handed over")
        }
        return bytes
    }

    package init(entries: [Entry]) {
        self.entries = entries
    }

    /// Understands the body of a message that announces `count` sockets.
    ///
    /// - Throws: ``UpgradeError`` when it is not made of exactly as many.
    package init(parsing body: [UInt8], count: Int) throws(UpgradeError) {
        var reader = ByteReader(body)
        var entries: [Entry] = []
        // Each takes seven bytes at least: a number that cannot be true reserves no memory.
        entries.reserveCapacity(min(count, body.count / 7))
        for _ in 0..<count {
            guard let shared = reader.number(UInt8.self), shared < 2, let service = reader.text(),
                let requested = reader.text(), let address = reader.text()
            else {
                throw UpgradeError("the list of sockets is malformed")
            }
            entries.append(
                Entry(service: service, requested: requested, address: address, staysShared: shared == 1)
            )
        }
        guard reader.isAtEnd else { throw UpgradeError("the list of sockets is longer than announced") }
        self.entries = entries
    }
}

/// Takes numbers and texts from the front of some bytes.
package struct ByteReader {
    private var rest: ArraySlice<UInt8>

    package init(_ bytes: [UInt8]) {
        rest = bytes[...]
    }

    package var isAtEnd: Bool { rest.isEmpty }

    /// The next `count` bytes; nil when there are not as many.
    package mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count <= rest.count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    /// The next number, most significant byte first.
    package mutating func number<Number: FixedWidthInteger & UnsignedInteger>(_ type: Number.Type) -> Number? {
        take(Number.bitWidth / 8)?.reduce(0) { $0 << 8 | Number($1) }
    }

    /// The next text: its length in two bytes, then UTF-8 without a NUL.
    package mutating func text() -> String? {
        guard let length = number(UInt16.self), length <= HandoverManifest.maximumTextLength,
            let bytes = take(Int(length)), !bytes.contains(0)
        else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }
}

extension [UInt8] {
    fileprivate mutating func appendBytes<Number: FixedWidthInteger & UnsignedInteger>(of number: Number) {
        for shift in stride(from: Number.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: number >> Number(shift)))
        }
    }

    mutating func append(bigEndian number: UInt16) {
        appendBytes(of: number)
    }

    mutating func append(bigEndian number: UInt32) {
        appendBytes(of: number)
    }
}
