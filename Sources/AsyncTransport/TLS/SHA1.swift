internal import COpenSSL

/// SHA-1, for protocols that ask for it where nothing depends on its strength.
package enum SHA1 {
    /// The 20 bytes of the digest.
    package static func digest(of bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Int(SHA_DIGEST_LENGTH))
        // SAFETY: the library reads `count` bytes and writes the 20 that there is room for.
        unsafe bytes.withUnsafeBufferPointer { input in
            _ = unsafe COpenSSL.SHA1(input.baseAddress, input.count, &digest)
        }
        return digest
    }
}
