"""How large what clients send may be, in bytes."""

MAX_MESSAGE_SIZE = 1024 * 1024
#: Requests may be longer: one with too large messages is told so in a reply, as the SDK never uses a management
#: link again that has rejected one.
MAX_REQUEST_SIZE = 16 * MAX_MESSAGE_SIZE
