/// Finds what somebody may have meant.
enum NearestName {
    /// The name that differs from `word` the least, if that is little.
    static func find(_ word: String, among names: some Sequence<String>) -> String? {
        let limit = max(1, word.count / 3)
        let near = names.map { (name: $0, distance: distance(Array(word.utf8), Array($0.utf8))) }
        return near.filter { $0.distance <= limit }.min { ($0.distance, $0.name) < ($1.distance, $1.name) }?.name
    }

    /// How many letters must be changed, added, left out or swapped with their neighbour.
    private static func distance(_ from: [UInt8], _ to: [UInt8]) -> Int {
        // Names are short; a word that is not is none of them.
        guard from.count <= 64, to.count <= 64 else { return .max }
        var rows = [Array(0...to.count)]
        for i in from.indices {
            var row = [i + 1]
            for j in to.indices {
                let change = rows[i][j] + (from[i] == to[j] ? 0 : 1)
                var best = min(change, rows[i][j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, from[i] == to[j - 1], from[i - 1] == to[j] { best = min(best, rows[i - 1][j - 1] + 1) }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[from.count][to.count]
    }
}
