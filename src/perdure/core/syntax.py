"""The grammar of a message head, as compiled patterns.

Each pattern is matched against whole octet strings (`fullmatch`), never searched for inside
them, so that a prefix that happens to be right cannot hide a wrong rest.
"""

from __future__ import annotations

import re
from typing import Final

# 9110 §5.6.2: token = 1*tchar
TOKEN_OCTETS: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
TOKEN: Final = re.compile(TOKEN_OCTETS + rb"+")

# 9110 §5.5: field-content = visible octets, obs-text, and inner spaces and tabs.
# CR, LF and NUL are what splits messages; the other controls have no business here either.
FIELD_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")

# 9112 §5: field-line = field-name ":" OWS field-value OWS. No white space before the colon (§5.1).
# The white space is stripped afterwards: a pattern that does it needs n² steps for n inner spaces.
FIELD_LINE: Final = re.compile(rb"(" + TOKEN_OCTETS + rb"+):([\t\x20-\x7e\x80-\xff]*)")

# 9112 §3: request-line = method SP request-target SP HTTP-version; a fragment (#) is never sent.
REQUEST_LINE: Final = re.compile(rb"(" + TOKEN_OCTETS + rb"+) ([\x21\x22\x24-\x7e]+) HTTP/([0-9])\.([0-9])")

# 9112 §4: status-line = HTTP-version SP status-code SP [ reason-phrase ]. Some servers leave
# out the last SP; a client loses nothing by taking that.
STATUS_LINE: Final = re.compile(rb"HTTP/([0-9])\.([0-9]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")

# 9110 §8.6: Content-Length = 1*DIGIT. Nineteen digits hold every file there is (R65).
CONTENT_LENGTH: Final = re.compile(rb"[0-9]{1,19}")

# 9112 §7.1: chunk-size = 1*HEXDIG; sixteen of them are 2^64.
# 9112 §7.1.1: chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )
CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,16}")
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
CHUNK_EXTENSIONS: Final = re.compile(
    rb"(?:[ \t]*;[ \t]*"
    + TOKEN_OCTETS
    + rb"+(?:[ \t]*=[ \t]*(?:"
    + TOKEN_OCTETS
    + rb"+|"
    + _QUOTED
    + rb"))?)*[ \t]*"
)

# 9110 §7.2: Host = uri-host [ ":" port ]; a registered name, an IPv4 address or an IP literal.
HOST: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.vV]+\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?"
)

# 9112 §3.2.3: authority-form = uri-host ":" port, the port being a real one (R22).
AUTHORITY_FORM: Final = re.compile(
    rb"(\[[0-9A-Fa-f:.vV]+\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+):([0-9]{1,5})"
)

# 9112 §3.2.2: absolute-form of the two schemes that HTTP/1.x connections carry.
ABSOLUTE_FORM: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+\-.]*)://([^/?#]*)([/?][\x21-\x7e]*)?")

# 9110 §4.2.4: a name and a password, with what is around them.
USERINFO: Final = re.compile(rb"://[^/?#\s]*@")

# 9112 §2.2: a line feed that does not follow a carriage return.
BARE_LINE_FEED: Final = re.compile(rb"(?<!\r)\n")
