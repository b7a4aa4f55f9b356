// swift-tools-version: 6.2

import PackageDescription

/// Every Swift target is built alike: Swift 6 mode, what Swift 7 will switch on, unsafe code marked, no warning let through.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .treatWarning("DeprecatedDeclaration", as: .warning),
]

let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let tracing: Target.Dependency = .product(name: "Tracing", package: "swift-distributed-tracing")
let coreMetrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "async-pingora",
    products: [
        .library(name: "AsyncPingora", targets: ["AsyncPingora"]),
        .library(name: "AsyncPingoraConfiguration", targets: ["AsyncPingoraConfiguration"]),
        .library(name: "AsyncConnectors", targets: ["AsyncConnectors"]),
        .library(name: "AsyncTransport", targets: ["AsyncTransport"]),
        .library(name: "HTTPCodecs", targets: ["HTTPCodecs"]),
        .library(name: "AsyncPingoraMetrics", targets: ["AsyncPingoraMetrics"]),
        .library(name: "PrometheusMetrics", targets: ["PrometheusMetrics"]),
        .library(name: "AsyncPingoraAdmin", targets: ["AsyncPingoraAdmin"]),
        .library(name: "AsyncPingoraTesting", targets: ["AsyncPingoraTesting"]),
        .executable(name: "Demo", targets: ["Demo"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
    ],
    targets: [
        // C, at the bottom: system calls, the vectorised head scanner, memory, OpenSSL and nghttp2.
        .target(name: "CNonBlockingIO", cSettings: [.define("_GNU_SOURCE")]),
        .target(name: "CHTTPScanner", cSettings: [.define("_GNU_SOURCE")]),
        .target(name: "CBlockCache", cSettings: [.define("_GNU_SOURCE")]),
        // The libraries' headers, and what in them Swift cannot call: macros and variadic functions.
        .target(
            name: "COpenSSL",
            dependencies: ["CBlockCache"],
            linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]
        ),
        .target(name: "CAres", cSettings: [.define("_GNU_SOURCE")], linkerSettings: [.linkedLibrary("cares")]),
        .target(name: "CNGHTTP2", dependencies: ["CBlockCache"], linkerSettings: [.linkedLibrary("nghttp2")]),

        // The layers. Imports point down only.
        .target(name: "AsyncTransport", dependencies: ["CNonBlockingIO", "COpenSSL", "CAres"], swiftSettings: strict),
        .target(name: "HTTPCodecs", dependencies: ["CHTTPScanner", "CNGHTTP2", httpTypes], swiftSettings: strict),
        .target(
            name: "AsyncConnectors",
            dependencies: ["AsyncTransport", "HTTPCodecs"],
            swiftSettings: strict
        ),
        .target(
            name: "AsyncPingora",
            dependencies: [
                "AsyncConnectors", "AsyncTransport", "HTTPCodecs", coreMetrics, httpTypes, logging, tracing,
            ],
            swiftSettings: strict
        ),
        .target(name: "PrometheusMetrics", dependencies: ["AsyncTransport", coreMetrics], swiftSettings: strict),
        .target(
            name: "AsyncPingoraMetrics",
            dependencies: ["AsyncPingora", "PrometheusMetrics"],
            swiftSettings: strict
        ),
        .target(
            name: "AsyncPingoraConfiguration",
            dependencies: [
                "AsyncPingora", "AsyncConnectors", "AsyncTransport", "HTTPCodecs", argumentParser, logging, yams,
            ],
            swiftSettings: strict
        ),
        .target(
            name: "AsyncPingoraTesting",
            dependencies: ["AsyncTransport", "HTTPCodecs", httpTypes],
            swiftSettings: strict
        ),
        .target(
            name: "AsyncPingoraAdmin",
            dependencies: [
                "AsyncPingora", "PrometheusMetrics", "AsyncConnectors", "AsyncTransport", "HTTPCodecs", httpTypes,
                logging,
            ],
            // Part of the program, so that there is nothing to install beside it.
            resources: ["page.html", "page.css", "page.js", "charts.js", "icon.svg"].map {
                .embedInCode("Page/\($0)")
            },
            swiftSettings: strict
        ),
        .executableTarget(
            name: "Demo",
            dependencies: [
                "AsyncPingora", "AsyncPingoraAdmin", "AsyncPingoraConfiguration", "AsyncPingoraMetrics",
                "PrometheusMetrics", argumentParser, coreMetrics, logging,
            ],
            swiftSettings: strict
        ),
        // The README's example, so that it is known to compile.
        .executableTarget(
            name: "FirstProxy",
            dependencies: ["AsyncPingora"],
            path: "Examples/FirstProxy",
            swiftSettings: strict
        ),

        // Tests.
        .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter"),
        .testTarget(
            name: "AsyncTransportTests",
            dependencies: ["AsyncTransport", "AsyncPingoraTesting", "CNonBlockingIO"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "AsyncConnectorsTests",
            dependencies: ["AsyncConnectors", "AsyncPingoraTesting", "AsyncTransport", "HTTPCodecs"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "AsyncPingoraTests",
            dependencies: [
                "AsyncPingora", "AsyncPingoraTesting", "AsyncConnectors", "AsyncTransport", "HTTPCodecs", "Demo",
                "CAllocationCounter", coreMetrics, logging, tracing,
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "PrometheusMetricsTests",
            dependencies: ["PrometheusMetrics", "AsyncTransport", "CAllocationCounter", coreMetrics],
            swiftSettings: strict
        ),
        .testTarget(
            name: "AsyncPingoraMetricsTests",
            dependencies: [
                "AsyncPingoraMetrics", "AsyncPingora", "AsyncPingoraTesting", "PrometheusMetrics", coreMetrics,
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "AsyncPingoraConfigurationTests",
            dependencies: [
                "AsyncPingoraConfiguration", "AsyncPingora", "AsyncPingoraTesting", "AsyncTransport", "AsyncConnectors",
                "HTTPCodecs", argumentParser, logging,
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "AsyncPingoraAdminTests",
            dependencies: [
                "AsyncPingoraAdmin", "AsyncPingora", "AsyncPingoraTesting", "PrometheusMetrics", "AsyncTransport",
                "HTTPCodecs", coreMetrics, httpTypes, logging,
            ],
            swiftSettings: strict
        ),
        .testTarget(name: "HTTPCodecsTests", dependencies: ["HTTPCodecs", httpTypes], swiftSettings: strict),
    ],
    cLanguageStandard: .gnu17
)
