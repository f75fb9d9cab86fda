"""Who a client is, by its JSON Web Token, and which rooms it may ask for.

Nothing here knows Socket.IO or HTTP: tokens come in as values, identities and refusals go out.
"""
