"""Compression of WebSocket messages: permessage-deflate, as an extension of wsproto.

wsproto has one of its own; this one declines what RFC 7692 says to decline, bounds what a message
may grow to, and is not confused by a ping between two fragments.

RFC 7692 §5 (negotiation), §7 (permessage-deflate).
"""

from __future__ import annotations

import re
import zlib
from typing import Final

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

OWN_WINDOW_BITS: Final = 12
MEMORY_LEVEL: Final = 5
"""64 KiB a connection instead of zlib's 320, for about the same size of messages (websockets)."""
TAIL: Final = b"\x00\x00\xff\xff"
"""What the sender leaves out at the end of a message. RFC 7692 §7.2.1."""
EMPTY: Final = b"\x00"

FLAGS: Final = ("server_no_context_takeover", "client_no_context_takeover")
KNOWN: Final = {*FLAGS, "server_max_window_bits", "client_max_window_bits"}
BITS: Final = re.compile(r"[89]|1[0-5]")
COMPRESSED: Final = RsvBits(True, False, False)

Parameters = dict[str, str | None]


def _parse(offer: str) -> Parameters | None:
    """The parameters of an offer; None where it is not one of permessage-deflate, or malformed."""
    name, *parts = [part.strip() for part in offer.split(";")]
    if name.lower() != "permessage-deflate":
        return None
    parameters: Parameters = {}
    for part in parts:
        key, equals, value = (word.strip() for word in part.partition("="))
        if key.lower() in parameters:
            return None
        parameters[key.lower()] = value.strip('"') if equals else None
    return parameters


class Deflate(Extension):
    """What one connection agreed on, and its compressor and decompressor.

    Attributes:
        parameters: the answer to the offer, as the handshake says it.
    """

    name = "permessage-deflate"

    def __init__(self, parameters: str, own_bits: int, own_reset: bool, peer_reset: bool, most: int) -> None:
        self.parameters = parameters
        self._most = most
        self._own_bits = own_bits
        self._own_reset = own_reset
        self._peer_reset = peer_reset
        self._compressor = self._new_compressor()
        self._decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
        self._control = False  # the frame at hand is no part of a message
        self._inflating: bool | None = None  # None between two messages
        self._inflated = 0

    @classmethod
    def agree(cls, offer: str, most: int) -> Deflate | None:
        """Accept an offer of the client, or decline it.

        Args:
            offer: one element of Sec-WebSocket-Extensions.
            most: octets that a message may have once it is decompressed.

        RFC 7692 §7.1: unknown, repeated or malformed parameters decline it.
        """
        asked = _parse(offer)
        if asked is None or not asked.keys() <= KNOWN or any(asked.get(flag) for flag in FLAGS):
            return None
        bits = asked.get("server_max_window_bits", "15")
        hint = asked.get("client_max_window_bits") or "15"
        # zlib cannot compress into a window of 8 bits.
        if bits is None or bits == "8" or not BITS.fullmatch(bits) or not BITS.fullmatch(hint):
            return None
        answer = ["permessage-deflate", *(flag for flag in FLAGS if flag in asked)]
        if "server_max_window_bits" in asked:
            answer.append(f"server_max_window_bits={bits}")
        own_reset, peer_reset = (flag in asked for flag in FLAGS)
        return cls("; ".join(answer), min(OWN_WINDOW_BITS, int(bits)), own_reset, peer_reset, most)

    def enabled(self) -> bool:
        """Always: one that was declined is never made."""
        return True

    def offer(self) -> bool | str:
        """A server offers nothing."""
        return False

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        """See which frames are compressed. RFC 7692 §6."""
        self._control = opcode.iscontrol()
        if rsv.rsv1 and (self._control or self._inflating is not None):
            return CloseReason.PROTOCOL_ERROR
        if not self._control and self._inflating is None:
            self._inflating = rsv.rsv1
            self._inflated = 0
        return COMPRESSED

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        """Decompress a part of a message."""
        if self._control or not self._inflating:
            return data
        return self._inflate(data)

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        """Complete a message at its last frame."""
        if self._control or not fin:
            return None
        inflating, self._inflating = self._inflating, None
        if not inflating:
            return None
        rest = self._inflate(TAIL)
        if self._peer_reset or self._decompressor.eof:
            self._decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
        return rest

    def frame_outbound(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, data: bytes, fin: bool
    ) -> tuple[RsvBits, bytes]:
        """Compress a whole message."""
        if opcode.iscontrol():
            return rsv, data
        octets = self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        if self._own_reset:
            self._compressor = self._new_compressor()
        # Between two empty messages zlib has nothing to flush; RFC 7692 §7.2.3.6 says what stands for one.
        return COMPRESSED, octets.removesuffix(TAIL) or EMPTY

    def _inflate(self, octets: bytes) -> bytes | CloseReason:
        """Decompress no more than a message may have: a kibibyte can stand for a mebibyte."""
        room = self._most - self._inflated + 1
        try:
            data = self._decompressor.decompress(octets, room)
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        self._inflated += len(data)
        return data if self._inflated <= self._most else CloseReason.MESSAGE_TOO_BIG

    def _new_compressor(self) -> zlib._Compress:
        return zlib.compressobj(wbits=-self._own_bits, memLevel=MEMORY_LEVEL)
