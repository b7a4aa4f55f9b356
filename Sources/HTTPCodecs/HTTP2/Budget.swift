extension HTTP2 {
    /// How much more of what only makes work is taken from a peer.
    struct Budget {
        /// How many more streams may end badly.
        private var resets: Int
        private var second: Int?
        /// All bytes that have come.
        private var receivedBytes = 0
        /// Those of heads and bodies, in both directions.
        private var usefulBytes = 0

        init(_ settings: Settings) {
            resets = max(settings.resetBurst, 0)
        }

        mutating func advance(toSecond now: Int, _ settings: Settings) {
            defer { second = now }
            guard let second, now > second else { return }
            // More seconds than this have made up for everything.
            let passed = min(now - second, max(settings.resetBurst, 0))
            let earned = passed.multipliedReportingOverflow(by: max(settings.resetsPerSecond, 0))
            resets = earned.overflow ? settings.resetBurst : min(resets + earned.partialValue, settings.resetBurst)
        }

        mutating func noteGoodEnd(_ settings: Settings) {
            resets = min(resets + 1, settings.resetBurst)
        }

        /// Counts a stream that has ended badly; false when it was one too many.
        mutating func noteBadEnd() -> Bool {
            resets -= 1
            return resets >= 0
        }

        mutating func noteUseful(_ byteCount: Int) { usefulBytes += byteCount }

        /// Counts what has come; false when too little of it was of use.
        ///
        /// A byte that is of use pays for eight, so that small frames are no abuse, nor are the WINDOW_UPDATEs of a download.
        mutating func noteReceived(_ byteCount: Int, _ settings: Settings) -> Bool {
            receivedBytes += byteCount
            return receivedBytes / 8 <= usefulBytes + settings.overheadAllowance / 8
        }
    }
}
