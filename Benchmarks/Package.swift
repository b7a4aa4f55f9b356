// swift-tools-version: 6.2

import PackageDescription

// The micro-benchmarks reach what is `package` in the package above, as its own tests do. SwiftPM names that boundary after
// the directory a package stands in, so the name is taken from there.
let directory = Context.packageDirectory.split(separator: "/").dropLast().last.map(String.init) ?? "async-pingora"
let packageName = String(directory.lowercased().map { $0.isLetter || $0.isNumber ? $0 : "_" })

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .unsafeFlags(["-package-name", packageName]),
]

func library(_ name: String) -> Target.Dependency {
    .product(name: name, package: "async-pingora")
}

func microBenchmark(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name,
        dependencies: dependencies + [.product(name: "Benchmark", package: "benchmark")],
        // The plug-in looks for targets whose parent directory has the name "Benchmarks".
        path: name,
        // SwiftPM's own -package-name, this package's, would win over the one in `settings`.
        packageAccess: false,
        swiftSettings: settings,
        plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]
    )
}

let package = Package(
    name: "async-pingora-benchmarks",
    dependencies: [
        .package(name: "async-pingora", path: ".."),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
    ],
    targets: [
        microBenchmark("CodecBenchmarks", [library("HTTPCodecs")]),
        microBenchmark("TransportBenchmarks", [library("AsyncTransport")]),
        microBenchmark(
            "MetricsBenchmarks",
            [
                library("PrometheusMetrics"), library("AsyncTransport"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
            ]
        ),
        microBenchmark(
            "ConnectorBenchmarks",
            [
                library("AsyncConnectors"), library("AsyncPingoraTesting"), library("AsyncTransport"),
                library("HTTPCodecs"),
            ]
        ),
    ]
)
