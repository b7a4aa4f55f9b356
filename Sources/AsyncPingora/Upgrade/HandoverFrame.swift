/// One message between the process that hands its listening sockets over and the one that takes them.
///
/// On the wire, numbers most significant byte first:
///
///     "APUP"  version (2)  kind (2)  length of the body (4)  count of descriptors (4)  body
///
/// The descriptors follow the body, in messages of one byte each that carry up to 253 of them.
/// Whatever the version, the first 16 bytes have this form, so that a refusal is understood.
package struct HandoverFrame: Equatable {
    /// What a message says.
    package enum Kind: UInt16 {
        /// The old process passes its sockets; the body is a ``HandoverManifest``.
        case sockets = 1
        /// The new process serves.
        case ready = 2
        /// The old process has heard that, and stops accepting.
        case released = 3
        /// The sender gives up; the body says why.
        case failed = 4
    }

    /// The first 16 bytes of a message.
    package struct Header: Equatable {
        package let kind: Kind
        package let bodyLength: Int
        package let descriptorCount: Int
    }

    package static let version: UInt16 = 1
    package static let headerLength = 16
    /// No body is longer, in bytes.
    package static let maximumBodyLength = 1 << 20
    /// No message comes with more descriptors.
    package static let maximumDescriptorCount = 16_384
    /// No reason for giving up is longer, in bytes.
    package static let maximumReasonLength = 1_024

    private static let magic: [UInt8] = Array("APUP".utf8)

    package let kind: Kind
    package let body: [UInt8]
    package let descriptorCount: Int

    package init(_ kind: Kind, body: [UInt8] = [], descriptorCount: Int = 0) {
        self.kind = kind
        self.body = body
        self.descriptorCount = descriptorCount
    }

    /// A message that gives up, with as much of the reason as it holds.
    package static func failed(_ reason: String) -> HandoverFrame {
        HandoverFrame(.failed, body: Array(reason.utf8.prefix(maximumReasonLength)))
    }

    /// The message's bytes, without the descriptors.
    package var encoded: [UInt8] {
        var bytes = Self.magic
        bytes.append(bigEndian: Self.version)
        bytes.append(bigEndian: kind.rawValue)
        bytes.append(bigEndian: UInt32(clamping: body.count))
        bytes.append(bigEndian: UInt32(clamping: descriptorCount))
        return bytes + body
    }

    /// Understands the first 16 bytes of a message.
    ///
    /// - Throws: ``UpgradeError`` for what is no such message, another version's, or larger than one may be.
    package static func parseHeader(_ bytes: [UInt8]) throws(UpgradeError) -> Header {
        var reader = ByteReader(bytes)
        guard bytes.count == headerLength, reader.take(magic.count).map(Array.init) == magic else {
            throw UpgradeError("the other process does not speak the hand-over protocol")
        }
        guard let version = reader.number(UInt16.self), let kind = reader.number(UInt16.self),
            let length = reader.number(UInt32.self), let count = reader.number(UInt32.self)
        else { throw UpgradeError("the other process sent half a message") }
        guard version == Self.version else {
            throw UpgradeError(
                "the other process speaks version \(version) of the hand-over protocol, this one \(Self.version)"
            )
        }
        guard let kind = Kind(rawValue: kind) else { throw UpgradeError("a message of the unknown kind \(kind)") }
        let limits = kind.limits
        guard length <= limits.bodyLength, count <= limits.descriptorCount else {
            throw UpgradeError("a message of \(length) bytes with \(count) descriptors, which is too large")
        }
        return Header(kind: kind, bodyLength: Int(length), descriptorCount: Int(count))
    }
}

extension HandoverFrame.Kind {
    fileprivate var limits: (bodyLength: Int, descriptorCount: Int) {
        switch self {
        case .sockets: (HandoverFrame.maximumBodyLength, HandoverFrame.maximumDescriptorCount)
        case .ready, .released: (0, 0)
        case .failed: (HandoverFrame.maximumReasonLength, 0)
        }
    }
}

/// Why a hand-over did not take place.
public struct UpgradeError: Error, Equatable, Sendable, CustomStringConvertible {
    /// In words, on one line.
    public let description: String

    package init(_ description: String) {
        self.description = description
    }
}
