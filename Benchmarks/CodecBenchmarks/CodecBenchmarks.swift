import Benchmark
import HTTPCodecs

/// What a message costs before a byte of it is sent: heads, fields, chunks.
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration.metrics = [.wallClock, .throughput]
    Benchmark.defaultConfiguration.scalingFactor = .kilo
    Benchmark.defaultConfiguration.maxDuration = .seconds(2)
    headBenchmarks()
    fieldBenchmarks()
    chunkBenchmarks()
}

private func headBenchmarks() {
    for (title, bytes) in [("3 fields", Samples.smallRequest), ("12 fields of a browser", Samples.browserRequest)] {
        Benchmark("head scanner: request, \(title)") { benchmark in
            var parser = HTTP1.HeadParser(limits: HTTP1.Limits())
            var request = RequestHeader()
            for _ in benchmark.scaledIterations {
                parser.reset()
                blackHole(try parser.parseRequest(bytes.span.bytes, into: &request))
            }
        }
    }

    Benchmark("head scanner: response, 10 fields") { benchmark in
        let bytes = Samples.response
        var parser = HTTP1.HeadParser(limits: HTTP1.Limits())
        var response = ResponseHeader(statusCode: 200)
        for _ in benchmark.scaledIterations {
            parser.reset()
            blackHole(try parser.parseResponse(bytes.span.bytes, into: &response))
        }
    }

    Benchmark("head scanner: request, 12 fields, in pieces of 64 bytes") { benchmark in
        let bytes = Samples.browserRequest
        var parser = HTTP1.HeadParser(limits: HTTP1.Limits())
        var request = RequestHeader()
        for _ in benchmark.scaledIterations {
            parser.reset()
            var end = 0
            repeat {
                end = min(end + 64, bytes.count)
            } while try parser.parseRequest(bytes.span.bytes.extracting(0..<end), into: &request) == nil
        }
    }
}

private func fieldBenchmarks() {
    Benchmark("header map: copy a head of 12 fields into another") { benchmark in
        let request = try Samples.parsed(Samples.browserRequest)
        var copy = RequestHeader()
        for _ in benchmark.scaledIterations {
            copy.copy(from: request)
            blackHole(copy)
        }
    }

    Benchmark("header map: a field that is there, one that is not") { benchmark in
        let headers = try Samples.parsed(Samples.browserRequest).headers
        for _ in benchmark.scaledIterations {
            blackHole(headers.contains(.userAgent))
            blackHole(headers.contains(.transferEncoding))
        }
    }

    Benchmark("header map: copy, strip hop-by-hop, set one, serialise") { benchmark in
        let request = try Samples.parsed(Samples.browserRequest)
        var copy = RequestHeader()
        var output = [UInt8](repeating: 0, count: 4096)
        for _ in benchmark.scaledIterations {
            copy.copy(from: request)
            try HopByHop.strip(request: &copy.headers)
            copy.headers.set(.via, staticBytes: "1.1 proxy")
            blackHole(Samples.serialize(copy, into: &output))
        }
    }
}

private func chunkBenchmarks() {
    Benchmark("chunked codec: decode 16 chunks of 1 KiB") { benchmark in
        let bytes = Samples.chunkedBody(chunks: 16, size: 1024)
        for _ in benchmark.scaledIterations {
            var decoder = HTTP1.ChunkedDecoder(limits: HTTP1.Limits())
            var rest = bytes.span.bytes
            decoding: while true {
                switch try decoder.next(rest) {
                case .data(let skip, let count): rest = rest.extracting(droppingFirst: skip + count)
                case .needMore, .end: break decoding
                }
            }
        }
    }

    Benchmark("chunked codec: encode a chunk's head") { benchmark in
        var output = [UInt8](repeating: 0, count: HTTP1.ChunkedEncoder.maximumChunkHeadByteCount)
        for iteration in benchmark.scaledIterations {
            output.withUnsafeMutableBytes { buffer in
                var span = OutputRawSpan(buffer: buffer, initializedCount: 0)
                HTTP1.ChunkedEncoder.chunkHead(count: 16_384 + iteration, into: &span)
                blackHole(span.finalize(for: buffer))
            }
        }
    }
}
