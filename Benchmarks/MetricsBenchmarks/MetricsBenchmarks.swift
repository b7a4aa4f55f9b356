import AsyncTransport
import Benchmark
import CoreMetrics
import PrometheusMetrics

/// What it costs to count, on the path of a request, and to be scraped.
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration.metrics = [.wallClock, .throughput]
    Benchmark.defaultConfiguration.scalingFactor = .kilo
    Benchmark.defaultConfiguration.maxDuration = .seconds(2)

    let registry = MetricsRegistry()
    let labels = [("service", "proxy"), ("status", "2xx")]
    let counter = Counter(label: "counter_total", dimensions: labels, factory: registry)
    let meter = Meter(label: "meter", dimensions: labels, factory: registry)
    let timer = CoreMetrics.Timer(label: "timer_seconds", dimensions: labels, factory: registry)

    Benchmark("metrics: counter, one thread") { benchmark in
        for _ in benchmark.scaledIterations { counter.increment() }
    }

    Benchmark("metrics: counter, two threads at once") { benchmark in
        await onTwoWorkers(benchmark) { counter.increment() }
    }

    Benchmark("metrics: meter up and down") { benchmark in
        for _ in benchmark.scaledIterations {
            meter.increment()
            meter.decrement()
        }
    }

    Benchmark("metrics: timer into 18 buckets, one thread") { benchmark in
        var duration: Int64 = 1
        for _ in benchmark.scaledIterations {
            // From 100 ns to 100 s, in no order that a processor would learn.
            duration = duration &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            timer.recordNanoseconds((duration >> 1 & .max) % 100_000_000_000)
        }
    }

    Benchmark("metrics: timer into 18 buckets, two threads at once") { benchmark in
        await onTwoWorkers(benchmark) { timer.recordNanoseconds(1_500_000) }
    }

    Benchmark("metrics: look an instrument up by name and labels") { benchmark in
        for _ in benchmark.scaledIterations {
            blackHole(registry.makeCounter(label: "counter_total", dimensions: labels))
        }
    }

    Benchmark(
        "metrics: text of 1,000 counters and 100 histograms",
        configuration: Benchmark.Configuration(scalingFactor: .one)
    ) { benchmark in
        for _ in benchmark.scaledIterations { blackHole(full.text()) }
    }
}

/// As full as that of a large proxy.
private let full: MetricsRegistry = {
    let registry = MetricsRegistry()
    for number in 0..<1_000 {
        Counter(label: "counter_\(number / 10)_total", dimensions: [("l", "\(number)")], factory: registry).increment()
    }
    for number in 0..<100 {
        CoreMetrics.Timer(label: "timer_\(number / 10)", dimensions: [("l", "\(number)")], factory: registry)
            .recordNanoseconds(1_000_000)
    }
    return registry
}()

private let executor = Result { try ServiceExecutor(name: "micro", threadCount: 2) }

/// Each worker does `body` as often as was asked.
private func onTwoWorkers(_ benchmark: Benchmark, _ body: @Sendable @escaping () -> Void) async {
    guard let executor = try? executor.get() else { return benchmark.error("no threads") }
    let count = benchmark.scaledIterations.count
    await withTaskGroup(of: Void.self) { group in
        for _ in 0..<2 {
            group.addTask(executorPreference: executor.nextExecutor()) {
                for _ in 0..<count { body() }
            }
        }
    }
}
