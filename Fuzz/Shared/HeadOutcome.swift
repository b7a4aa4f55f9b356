import HTTPCodecs

/// What a parser made of some bytes: compared between ways to deliver them.
enum HeadOutcome<Head> {
    case head(Head, byteCount: Int)
    case incomplete
    case refused(HTTP1.ParseError)

    var summary: String {
        switch self {
        case .head(_, let byteCount): "a head of \(byteCount) bytes"
        case .incomplete: "incomplete"
        case .refused(let error): "refused: \(error)"
        }
    }
}

/// Checks what two deliveries of the same bytes must have in common.
///
/// A defect may be seen later by the one that got less at a time, but neither may accept what the other refuses.
func checkAgreement<Head>(
    _ whole: HeadOutcome<Head>,
    _ other: HeadOutcome<Head>,
    _ areSame: (Head, Head) -> Bool
) {
    switch (whole, other) {
    case (.head(let left, let leftCount), .head(let right, let rightCount)):
        check(leftCount == rightCount && areSame(left, right), "the head depends on how it was delivered")
    case (.incomplete, .incomplete), (.refused, .refused), (.refused, .incomplete):
        break
    default:
        check(false, "delivered at once: \(whole.summary); in parts: \(other.summary)")
    }
}

/// The limits that heads are parsed with: small, so that short inputs reach them.
let fuzzLimits: HTTP1.Limits = {
    var limits = HTTP1.Limits()
    limits.maximumHeadBytes = 1024
    limits.maximumFieldCount = 24
    limits.maximumTargetBytes = 128
    limits.maximumChunkLineBytes = 64
    limits.maximumTrailerBytes = 256
    limits.maximumTrailerCount = 6
    return limits
}()
