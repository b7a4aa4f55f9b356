import ArgumentParser
import AsyncPingora
import AsyncPingoraConfiguration

/// Whether and how requests are logged.
struct AccessLogOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Write a line per request to a file; - is standard output.", valueName: "path"))
    var accessLog: String?

    @Option(
        help: ArgumentHelp(
            "Its lines: common, combined, json, json:FIELD,…, or a pattern such as '$remote_addr $status'.",
            valueName: "format"
        )
    )
    var accessLogFormat: String?

    func validate() throws {
        guard let accessLogFormat else { return }
        do {
            _ = try AccessLogFormat(accessLogFormat)
        } catch {
            throw ValidationError("--access-log-format: \(error)")
        }
    }

    func apply(to configuration: inout ServerConfiguration) {
        if let accessLog { configuration.accessLog = AccessLogSettings(path: accessLog) }
        if let accessLogFormat { configuration.accessLog?.format = accessLogFormat }
    }
}
