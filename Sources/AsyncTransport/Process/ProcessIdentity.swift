internal import CNonBlockingIO
internal import Glibc

/// The user and group that a process runs as once it has what only root may have, such as port 80.
public struct ProcessIdentity: Hashable, Sendable {
    private let userName: String?
    package let user: UInt32?
    private let group: UInt32

    /// Looks the names up; nil when both are.
    ///
    /// - Parameters:
    ///   - user: who to become, with its further groups; nil stays who one is.
    ///   - group: the group to change to; nil takes the user's.
    /// - Throws: ``TransportError`` when there is no such user or group.
    public init?(user: String?, group: String? = nil) throws(TransportError) {
        guard user != nil || group != nil else { return nil }
        var number: uid_t = 0
        var groupNumber: gid_t = 0
        if let user {
            // SAFETY: the name is passed NUL-terminated, and the call fills what it is lent.
            let result = unsafe cnbio_find_user(user, &number, &groupNumber)
            guard result == 0 else { throw TransportError(.identity, errno: -result, detail: "user \(user)") }
        }
        if let group {
            // SAFETY: as above.
            let result = unsafe cnbio_find_group(group, &groupNumber)
            guard result == 0 else { throw TransportError(.identity, errno: -result, detail: "group \(group)") }
        }
        userName = user
        self.user = user == nil ? nil : number
        self.group = groupNumber
    }

    /// Becomes that user, for good and in all threads.
    ///
    /// - Throws: ``TransportError`` when this process is not root's.
    package func assume() throws(TransportError) {
        let result =
            if let userName, let user {
                // SAFETY: the name is passed NUL-terminated.
                unsafe cnbio_become(userName, user, group)
            } else {
                cnbio_become(nil, 0, group)
            }
        guard result == 0 else {
            let who = userName.map { "user \($0)" } ?? "group \(group)"
            throw TransportError(.identity, errno: -result, detail: "changing to \(who), which only root can")
        }
    }
}
