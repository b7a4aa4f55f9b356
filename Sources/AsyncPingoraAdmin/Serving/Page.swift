internal import AsyncTransport
internal import HTTPTypes

/// The page's files, which are part of the program.
enum Page {
    /// By path.
    static let answers: [String: Answer] = [
        "/": file(PackageResources.page_html, "text/html; charset=utf-8"),
        "/page.css": file(PackageResources.page_css, "text/css; charset=utf-8"),
        "/page.js": file(PackageResources.page_js, "text/javascript; charset=utf-8"),
        "/charts.js": file(PackageResources.charts_js, "text/javascript; charset=utf-8"),
        "/icon.svg": file(PackageResources.icon_svg, "image/svg+xml"),
    ]

    private static func file(_ bytes: [UInt8], _ type: StaticString) -> Answer {
        Answer(status: .ok, type: type, body: Bytes(bytes))
    }
}
