import AsyncTransport
import Foundation
import Glibc

/// A DNS server on a loopback port that answers as it is told, on a thread of its own.
final class NameServer: Sendable {
    /// What it says about a name.
    enum Answer: Sendable {
        case addresses([String], ttl: UInt32)
        case absent
        case failure
        case silence
    }

    private struct State {
        var answers: [String: Answer] = [:]
        var counts: [String: Int] = [:]
        var isHolding = false
        var held: [(query: [UInt8], from: sockaddr_in)] = []
        var isStopped = false
    }

    let address: SocketAddress
    private let descriptor: Int32
    private let state = Lock(State())
    private let ended = DispatchSemaphore(value: 0)

    init(_ answers: [String: Answer]) throws {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        // SAFETY: the address is lent for the length of the calls.
        unsafe withUnsafeMutablePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                _ = unsafe bind(descriptor, raw, length)
                _ = unsafe getsockname(descriptor, raw, &length)
            }
        }
        guard let address = SocketAddress(host: "127.0.0.1", port: UInt16(bigEndian: name.sin_port)) else {
            throw TransportError(.bind, errno: 0)
        }
        self.address = address
        state.withLock { $0.answers = answers }
        Thread.detachNewThread { [self] in run() }
    }

    /// How often it was asked for a name.
    func count(_ name: String) -> Int { state.withLock { $0.counts[name, default: 0] } }

    /// Keeps queries unanswered, or answers those that were kept.
    func hold(_ isHolding: Bool) {
        let held = state.withLock { (state: inout State) in
            state.isHolding = isHolding
            defer { state.held = [] }
            return isHolding ? [] : state.held
        }
        for (query, from) in held { answer(query, from) }
    }

    var heldCount: Int { state.withLock { $0.held.count } }

    /// Ends the thread and closes the socket.
    func stop() {
        state.withLock { $0.isStopped = true }
        shutdown(descriptor, Int32(SHUT_RDWR))
        ended.wait()
        close(descriptor)
    }

    private func run() {
        var buffer = [UInt8](repeating: 0, count: 512)
        while !state.withLock({ $0.isStopped }) {
            var from = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            // SAFETY: buffer and address are lent for the length of the call.
            let count = unsafe withUnsafeMutablePointer(to: &from) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                    unsafe recvfrom(descriptor, &buffer, buffer.count, 0, raw, &length)
                }
            }
            guard count > 12 else { continue }
            let query = Array(buffer.prefix(count))
            let isHeld = state.withLock { (state: inout State) in
                state.counts[Self.name(in: query), default: 0] += 1
                if state.isHolding { state.held.append((query, from)) }
                return state.isHolding
            }
            if !isHeld { answer(query, from) }
        }
        ended.signal()
    }

    private static func name(in query: [UInt8]) -> String {
        var labels: [String] = []
        var index = 12
        while index < query.count, query[index] != 0 {
            let end = index + 1 + Int(query[index])
            labels.append(String(decoding: query[(index + 1)..<min(end, query.count)], as: UTF8.self))
            index = end
        }
        return labels.joined(separator: ".").lowercased()
    }

    private func answer(_ query: [UInt8], _ from: sockaddr_in) {
        let name = Self.name(in: query)
        let questionEnd = 12 + name.utf8.count + 2 + 4
        let isIPv6 = query[questionEnd - 3] == 28
        var records: [[UInt8]] = []
        var code: UInt8 = 0
        switch state.withLock({ $0.answers[name] }) {
        case .addresses(let addresses, let ttl):
            for text in addresses where text.contains(":") == isIPv6 {
                var bytes = [UInt8](repeating: 0, count: isIPv6 ? 16 : 4)
                // SAFETY: as many bytes as an address of this family has.
                unsafe inet_pton(isIPv6 ? AF_INET6 : AF_INET, text, &bytes)
                let time = [UInt8(ttl >> 24), UInt8(ttl >> 16 & 255), UInt8(ttl >> 8 & 255), UInt8(ttl & 255)]
                records.append([0xC0, 12, 0, isIPv6 ? 28 : 1, 0, 1] + time + [0, UInt8(bytes.count)] + bytes)
            }
        case .failure: code = 2
        case .silence: return
        case .absent, nil: code = 3
        }
        let head = Array(query[0..<2]) + [0x81, 0x80 | code, 0, 1, 0, UInt8(records.count), 0, 0, 0, 0]
        let message = head + query[12..<questionEnd] + records.flatMap { $0 }
        var to = from
        // SAFETY: message and address are lent for the length of the call.
        unsafe withUnsafePointer(to: &to) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                _ = unsafe sendto(
                    descriptor,
                    message,
                    message.count,
                    0,
                    raw,
                    socklen_t(MemoryLayout<sockaddr_in>.size)
                )
            }
        }
    }
}
