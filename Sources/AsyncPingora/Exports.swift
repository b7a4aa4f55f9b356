// A proxy's author speaks of peers, heads, bytes and statuses in every callback: one import brings them all.
@_exported public import AsyncConnectors
@_exported public import AsyncTransport
@_exported public import HTTPCodecs
@_exported public import HTTPTypes
