"""Ad-hoc commands (XEP-0050): forms that a client can show without knowing what they are about.

`execution` says what a command is, `requests` answers clients (`features.dialogues` remembers forms half filled in);
`administration` holds the commands of operators (XEP-0133).
"""
