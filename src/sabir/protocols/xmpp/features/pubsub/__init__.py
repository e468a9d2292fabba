"""Pubsub (XEP-0060) of accounts: personal eventing (XEP-0163).

Every account is a service. `requests` says what answers which request; `reading`, `publishing`, `owning` and
`subscribing` have the answers, `notifying` what readers are told, `discovering` what is found out.
"""
