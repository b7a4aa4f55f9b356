internal import CNonBlockingIO

/// Which user this process acts as.
package enum ProcessUser {
    /// The effective user's number.
    package static var effective: UInt32 { cnbio_effective_user() }
}
