internal import AsyncTransport
internal import Glibc

/// A certificate authority for tests, made by the `openssl` command in a temporary folder that goes with this object.
public final class TestAuthority: Sendable {
    /// A certificate that the authority, or nobody, has signed.
    public struct Certificate: Sendable {
        /// The PEM file with the certificate.
        public let chainFile: String
        /// The PEM file with its key.
        public let keyFile: String

        /// Names both files.
        public init(chainFile: String, keyFile: String) {
            self.chainFile = chainFile
            self.keyFile = keyFile
        }
    }

    /// What a certificate is to be like.
    public struct Request: Sendable {
        /// Whom it is for.
        public var subject: String
        /// Its alternative names, as OpenSSL writes them: `DNS:a.test,IP:127.0.0.1`.
        public var names: String
        /// Whether it is past its last day.
        public var isExpired = false
        /// Whether it signs itself instead of the authority.
        public var isSelfSigned = false

        /// Describes a certificate.
        public init(subject: String = "/CN=server/O=Test", names: String = "DNS:localhost,IP:127.0.0.1") {
            self.subject = subject
            self.names = names
        }
    }

    /// The temporary folder.
    public let folder: String
    /// The authority's own certificate.
    public let authorityFile: String
    private let count = Lock(0)

    /// Makes the authority's key and certificate.
    public init(name: String = "Test Authority") async throws {
        var template = Array("/tmp/async-pingora-tls-XXXXXX".utf8CString)
        // SAFETY: the template ends with a NUL and is changed in place.
        guard unsafe mkdtemp(&template) != nil else { throw TestPeerError("no temporary folder") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        authorityFile = folder + "/ca.pem"
        try await run(
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
                + ["-keyout", folder + "/ca.key", "-out", authorityFile, "-days", "2", "-subj", "/CN=\(name)"]
                + ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        )
        try write("", to: "index.txt")
        try write("01\n", to: "crlnumber")
        let database = "database=\(folder)/index.txt\ncrlnumber=\(folder)/crlnumber\n"
        try write("[ca]\ndefault_ca=it\n[it]\n\(database)default_md=sha256\n", to: "ca.cnf")
    }

    deinit {
        // SAFETY: the folder is this object's own; entries are read one by one and the directory is closed.
        if let directory = unsafe opendir(folder) {
            while let entry = unsafe readdir(directory) {
                let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
                }
                if name != ".", name != ".." { unsafe unlink(folder + "/" + name) }
            }
            unsafe closedir(directory)
        }
        unsafe rmdir(folder)
    }

    /// Makes a certificate and its key.
    public func issue(_ request: Request = Request()) async throws -> Certificate {
        let number = count.withLock { (count: inout Int) in
            count += 1
            return count
        }
        let stem = "\(folder)/\(number)"
        let made = Certificate(chainFile: stem + ".pem", keyFile: stem + ".key")
        try await run(
            ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", made.keyFile]
                + ["-out", stem + ".csr", "-subj", request.subject, "-addext", "subjectAltName=\(request.names)"]
        )
        let signer =
            request.isSelfSigned
            ? ["-key", made.keyFile] : ["-CA", authorityFile, "-CAkey", folder + "/ca.key", "-CAcreateserial"]
        try await run(
            ["x509", "-req", "-in", stem + ".csr", "-out", made.chainFile, "-copy_extensions", "copy"]
                + ["-days", request.isExpired ? "-1" : "2"] + signer
        )
        return made
    }

    /// Revokes certificates, and returns a file with the authority's revocation list.
    public func revoke(_ certificates: Certificate...) async throws -> String {
        let list = folder + "/crl.pem"
        let authority = ["-config", folder + "/ca.cnf", "-keyfile", folder + "/ca.key", "-cert", authorityFile]
        for certificate in certificates { try await run(["ca", "-revoke", certificate.chainFile] + authority) }
        try await run(["ca", "-gencrl", "-crldays", "2", "-out", list] + authority)
        return list
    }

    /// Returns a file with an OCSP response, in DER, about a certificate.
    public func ocspResponse(for certificate: Certificate) async throws -> String {
        let response = certificate.chainFile + ".ocsp"
        try await run(
            ["ocsp", "-index", folder + "/index.txt", "-CA", authorityFile, "-issuer", authorityFile]
                + ["-rsigner", authorityFile, "-rkey", folder + "/ca.key", "-cert", certificate.chainFile]
                + ["-respout", response, "-ndays", "1"]
        )
        return response
    }

    /// Replaces the files of `certificate` by those of `other`, as a renewal does.
    public func replace(_ certificate: Certificate, by other: Certificate) throws {
        for (to, from) in [(certificate.chainFile, other.chainFile), (certificate.keyFile, other.keyFile)] {
            // SAFETY: both paths are read during the call.
            guard unsafe rename(from, to) == 0 else { throw TestPeerError("cannot replace \(to)") }
        }
    }

    /// Writes a file into the folder, and returns its path.
    @discardableResult
    public func write(_ text: String, to name: String) throws -> String {
        let path = folder + "/" + name
        // SAFETY: the file is this call's own and is closed.
        guard let file = unsafe fopen(path, "we") else { throw TestPeerError("cannot write \(path)") }
        defer { unsafe fclose(file) }
        unsafe fputs(text, file)
        return path
    }

    private func run(_ arguments: [String]) async throws {
        let outcome = try await ChildProcess.run(["openssl"] + arguments)
        guard outcome.status == 0 else {
            throw TestPeerError("openssl \(arguments.joined(separator: " ")): \(outcome.text)")
        }
    }
}
