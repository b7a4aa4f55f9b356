"""nginx as an origin that speaks HTTP/1.1 and HTTP/2, plain and encrypted."""

import os
import socket

from support.net import wait_until
from support.process import Program

CONFIGURATION = """
worker_processes 1;
{user}
daemon off;
error_log {directory}/error.log;
pid {directory}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    log_format who '$server_protocol $request_method $request_uri';
    if_modified_since before;
    default_type application/octet-stream;
    client_max_body_size 64m;
    http2_max_requests 100000;
    keepalive_requests 100000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    ssl_certificate {chain};
    ssl_certificate_key {key};
    server {{
        listen 127.0.0.1:{h1};
        listen 127.0.0.1:{h1s} ssl;
        listen 127.0.0.1:{h2c} http2;
        listen 127.0.0.1:{h2s} ssl http2;
        root {directory}/files;
        access_log {directory}/access.log who;
        location / {{ dav_methods PUT DELETE; }}
        location = /nothing {{ return 204; }}
        location = /protocol {{ return 200 "$server_protocol $scheme $host"; }}
        location = /trailers {{ add_trailer X-Checksum "c-$request_id" always; try_files /hello =404; }}
        location = /moved {{ return 301 /hello; }}
        location /echo-fields {{
            return 200 "cookie=$http_cookie|te=$http_te|connection=$http_connection|host=$http_host|private=$http_x_private";
        }}
    }}
}}
"""

KINDS = ("h1", "h1s", "h2c", "h2s")


class Nginx(Program):
    """The origin; `addresses` has one for each of `KINDS`."""

    def __init__(self, directory, certificate):
        directory.mkdir()
        os.chmod(directory, 0o755)
        files = directory / "files"
        files.mkdir()
        (files / "hello").write_text("hello from nginx\n")
        (files / "empty").touch()
        (files / "big").write_bytes(os.urandom(10 << 20))
        self.directory, self.files = directory, files
        # nginx cannot be asked for a port of the kernel's choice: reserve them until the last moment.
        held = [socket.create_server(("127.0.0.1", 0)) for _ in KINDS]
        self.addresses = {kind: sock.getsockname() for kind, sock in zip(KINDS, held, strict=True)}
        text = CONFIGURATION.format(
            directory=directory,
            chain=certificate.chain,
            key=certificate.key,
            user="user root;" if os.geteuid() == 0 else "",
            **{kind: address[1] for kind, address in self.addresses.items()},
        )
        (directory / "nginx.conf").write_text(text)
        for sock in held:
            sock.close()
        arguments = ["nginx", "-p", directory, "-e", directory / "error.log", "-c", directory / "nginx.conf"]
        super().__init__(arguments, directory / "output.log")
        wait_until(self._answers, "nginx to answer")

    def _answers(self):
        assert self.process.poll() is None, (self.directory / "error.log").read_text() + self.log()
        try:
            socket.create_connection(self.addresses["h1"], timeout=1).close()
        except OSError:
            return False
        return True

    def access_log(self):
        """The lines "PROTOCOL METHOD TARGET" of what has been asked."""
        return (self.directory / "access.log").read_text().splitlines()
