internal import AsyncTransport

/// Tells systemd how the process fares (`sd_notify(3)`); without `NOTIFY_SOCKET` in the environment it does nothing.
///
/// Messages that cannot be sent are dropped: a server does not stop because nobody supervises it any more. Those that systemd waits
/// for, ``ready(status:)``, ``reloading()`` and ``stopping()``, block the thread for up to a second until there is room for them.
public struct SystemdNotifier: Sendable {
    private let socket: NotifySocket?
    private let watchdogInterval: Duration?

    /// Makes the notifier that the process's environment describes.
    public init() {
        self.init(environment: ProcessEnvironment.value, process: ProcessEnvironment.processIdentifier)
    }

    package init(environment: (String) -> String?, process: Int32) {
        socket = environment("NOTIFY_SOCKET").flatMap { NotifySocket(address: $0) }
        watchdogInterval = Self.watchdogInterval(environment, process: process)
    }

    /// How often systemd wants to hear from this process; nil when it does not.
    package static func watchdogInterval(_ environment: (String) -> String?, process: Int32) -> Duration? {
        guard let microseconds = environment("WATCHDOG_USEC").flatMap(Int64.init), microseconds > 0 else { return nil }
        if let owner = environment("WATCHDOG_PID"), Int32(owner) != process { return nil }
        return .microseconds(microseconds)
    }

    /// Whether anybody listens.
    public var isEnabled: Bool { socket != nil }

    /// How long to wait between two signs of life: half of what systemd asks for; nil when it asks for none.
    public var watchdogPause: Duration? { isEnabled ? watchdogInterval.map { $0 / 2 } : nil }

    /// The service has started, or has read its configuration again.
    ///
    /// Names this process as the main one, for after an upgrade it is not the one that systemd has started.
    public func ready(status: String = "serving") {
        send("READY=1\nMAINPID=\(ProcessEnvironment.processIdentifier)\nSTATUS=\(Self.oneLine(status))", waits: true)
    }

    /// The service reads its configuration again; ``ready(status:)`` follows.
    public func reloading() {
        send("RELOADING=1\nMONOTONIC_USEC=\(Deadline.systemNanoseconds / 1_000)\nSTATUS=reloading", waits: true)
    }

    /// The service ends.
    public func stopping() {
        send("STOPPING=1\nSTATUS=finishing what is in flight", waits: true)
    }

    /// What the service does, for `systemctl status`.
    public func status(_ text: String) {
        send("STATUS=\(Self.oneLine(text))", waits: false)
    }

    /// A sign of life for systemd's watchdog.
    public func watchdog() {
        send("WATCHDOG=1", waits: false)
    }

    private static func oneLine(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }

    private func send(_ message: String, waits: Bool) {
        socket?.send(message, waits: waits)
    }
}
