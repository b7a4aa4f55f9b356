import AsyncPingora
import AsyncPingoraTesting
import AsyncTransport
import Glibc
import Logging
import Testing

@Suite("A listener uses the socket that is open for it already")
struct ListenerTableTests {
    private func inherited(
        _ address: SocketAddress,
        service: String? = nil,
        requested: SocketAddress? = nil,
        sharing: Bool = false
    ) throws -> ListenerTable.Inherited {
        var options = ListenerOptions()
        options.reusePort = sharing
        let socket = try ListeningSocket(address: address, options: options)
        return ListenerTable.Inherited(
            service: service,
            requested: requested,
            address: socket.address,
            descriptor: try #require(try socket.duplicate())
        )
    }

    private func address(_ text: String) throws -> SocketAddress { try #require(SocketAddress(text)) }

    private func listeners(_ addresses: [SocketAddress], options: ListenerOptions = ListenerOptions()) -> Listeners {
        var listeners = Listeners()
        for address in addresses { listeners.add(address, options: options) }
        return listeners
    }

    @Test(arguments: ["127.0.0.1:0", "[::1]:0"]) func byAddress(_ text: String) throws {
        let table = ListenerTable()
        let given = try inherited(try address(text))
        table.add([given])
        // Bound as it is by the other owner, it could not be bound anew.
        let stacks = try listeners([given.address]).build(for: "a", table: table)
        #expect(stacks.map(\.address) == [given.address])
        #expect(table.openSockets.map(\.socket.address) == [given.address])
        for stack in stacks { stack.socket.close() }
    }

    @Test func byPath() throws {
        let path = "/tmp/async-pingora-table-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        defer { unsafe unlink(path) }
        let table = ListenerTable()
        table.add([try inherited(try address("unix:\(path)"))])
        var before = stat()
        #expect(unsafe lstat(path, &before) == 0)
        let stacks = try listeners([try address("unix:\(path)")]).build(for: "a", table: table)
        var after = stat()
        #expect(unsafe lstat(path, &after) == 0)
        #expect(before.st_ino == after.st_ino, "the file is still the one that clients know")
        #expect(after.st_mode & 0o777 == 0o666)
        for stack in stacks { stack.socket.close() }
        #expect(unsafe access(path, F_OK) == 0, "and stays when one of its owners closes it")
    }

    /// A port 0 is found by who asked for it, and in the order of asking.
    @Test func byRequest() throws {
        let any = try address("127.0.0.1:0")
        let table = ListenerTable()
        let sockets = try ["origin", "origin", "other"].map { try inherited(any, service: $0, requested: any) }
        table.add(sockets)
        let stacks = try listeners([any, any]).build(for: "origin", table: table)
        #expect(stacks.map(\.address) == sockets.prefix(2).map(\.address))
        let new = try listeners([any]).build(for: "newcomer", table: table)
        #expect(new.count == 1 && new.first?.address != sockets[2].address)
        for stack in stacks + new { stack.socket.close() }
    }

    @Test func notByOtherAddresses() throws {
        let table = ListenerTable()
        let given = try inherited(try address("127.0.0.1:0"))
        table.add([given])
        let port = try #require(given.address.port)
        for text in ["0.0.0.0:\(port)", "[::1]:\(port)", "127.0.0.2:\(port)", "unix:/tmp/127.0.0.1:\(port)"] {
            #expect(table.take(try address(text), for: "a") == nil)
        }
        #expect(table.take(given.address, for: "a") != nil)
        #expect(table.take(given.address, for: "a") == nil, "it is given once")
    }

    /// A connection waits in the queue of one socket of a group: none of them may be lost.
    @Test func allOfAGroup() throws {
        let table = ListenerTable()
        let first = try inherited(try address("127.0.0.1:0"), sharing: true)
        let others = try (0..<2).map { _ in try inherited(first.address, sharing: true) }
        table.add([first] + others)
        var options = ListenerOptions()
        options.reusePort = true
        let stacks = try listeners([first.address, first.address], options: options).build(for: "a", table: table)
        #expect(stacks.map(\.address) == [first.address, first.address, first.address])
        for stack in stacks { stack.socket.close() }
    }

    @Test func whatNobodyUsesIsClosed() throws {
        let table = ListenerTable()
        let given = try inherited(try address("127.0.0.1:0"))
        table.add([given])
        table.closeUnused(logger: silentLogger)
        #expect(table.take(given.address, for: "a") == nil)
    }

    @Test func aFailureLeavesNothingOpen() throws {
        let taken = try ListeningSocket(address: try address("127.0.0.1:0"))
        defer { taken.close() }
        let table = ListenerTable()
        #expect(throws: TransportError.self) {
            try listeners([try address("127.0.0.1:0"), taken.address]).build(for: "a", table: table)
        }
        #expect(table.openSockets.isEmpty)
    }
}
