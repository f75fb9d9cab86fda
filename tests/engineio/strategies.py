"""What Hypothesis makes up for Engine.IO."""

from __future__ import annotations

from hypothesis import strategies as st

from rtwist.engineio.packet import Packet, PacketType

# Text without the separator of payloads: a packet in a payload cannot hold it.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1e"))
ANY_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
TYPES = st.sampled_from(PacketType)
PACKETS = st.one_of(
    st.builds(Packet, TYPES, TEXTS),
    st.builds(Packet, st.just(PacketType.MESSAGE), st.binary()),
)
