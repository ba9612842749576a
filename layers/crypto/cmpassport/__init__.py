"""What the functions share: keys and signatures, settings, secrets, telemetry and the HTTP contract.

The package knows no function and no flow. It is named after the platform, cmpassport (统一认证), whose
integration guide is the source of every fact here; section numbers in docstrings are the guide's.
"""
