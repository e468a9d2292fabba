"""Other servers: streams to and from them, who they are, and what waits for them.

`links` knows every stream and is what features send through (`features.abroad.Abroad`). A stream is a
machine (`machine.incoming`, `machine.outgoing`) and its handler here; `arriving` routes what it brings.
"""
