"""Waking devices through the services of their makers: Web Push (UnifiedPush too) and FCM.

What is sent is for the protocol to say, which registered the device; here it is only encrypted and delivered
(`sabir.core.ports.Waker`).
"""
