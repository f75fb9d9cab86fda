"""Pure business rules: which emissions a domain event causes, and for whom.

Nothing here knows a socket, a broker or a clock. To add a domain, write one file with a rule and name it
in `rules.BUILT_IN`; programs that use rtwist hand their own rules to `router.Router` in the same form.
"""
