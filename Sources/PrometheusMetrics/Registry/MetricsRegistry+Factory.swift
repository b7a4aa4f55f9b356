public import CoreMetrics

extension MetricsRegistry: MetricsFactory {
    /// Makes a counter, or returns the one that has this name and these labels.
    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        counter(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    /// Makes a counter of fractions, or returns the one that has this name and these labels.
    public func makeFloatingPointCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        counter(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    /// Makes a gauge, or returns the one that has this name and these labels.
    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        gauge(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    /// Makes a histogram of what is recorded, or, if it should not aggregate, a gauge.
    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        guard aggregate else { return gauge(label, dimensions) ?? NOOPMetricsHandler.instance }
        return histogram(label, dimensions, isTimer: false) ?? NOOPMetricsHandler.instance
    }

    /// Makes a histogram of seconds, or returns the one that has this name and these labels.
    ///
    /// The unit that a program prefers for display is not used: Prometheus's is the second.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(label, dimensions, isTimer: true) ?? NOOPMetricsHandler.instance
    }

    /// Takes the series away once it has been destroyed as often as it was made; what is then counted is not seen.
    public func destroyCounter(_ handler: any CounterHandler) {
        if let series = handler as? CounterSeries { release(series.identity, series) }
    }

    /// Takes the series away once it has been destroyed as often as it was made; what is then counted is not seen.
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {
        if let series = handler as? CounterSeries { release(series.identity, series) }
    }

    /// Takes the series away once it has been destroyed as often as it was made; what is then set is not seen.
    public func destroyMeter(_ handler: any MeterHandler) {
        if let series = handler as? GaugeSeries { release(series.identity, series) }
    }

    /// Takes the series away once it has been destroyed as often as it was made; what is then recorded is not seen.
    public func destroyRecorder(_ handler: any RecorderHandler) {
        if let series = handler as? GaugeSeries { release(series.identity, series) }
        if let series = handler as? HistogramSeries { release(series.identity, series) }
    }

    /// Takes the series away once it has been destroyed as often as it was made; what is then recorded is not seen.
    public func destroyTimer(_ handler: any TimerHandler) {
        if let series = handler as? HistogramSeries { release(series.identity, series) }
    }

    private func counter(_ label: String, _ dimensions: [(String, String)]) -> CounterSeries? {
        guard case .counter(let series)? = series(.counter, label: label, dimensions: dimensions) else { return nil }
        return series
    }

    private func gauge(_ label: String, _ dimensions: [(String, String)]) -> GaugeSeries? {
        guard case .gauge(let series)? = series(.gauge, label: label, dimensions: dimensions) else { return nil }
        return series
    }

    private func histogram(_ label: String, _ dimensions: [(String, String)], isTimer: Bool) -> HistogramSeries? {
        let found = series(.histogram, label: label, dimensions: dimensions, isTimer: isTimer)
        guard case .histogram(let series)? = found else { return nil }
        return series
    }
}
