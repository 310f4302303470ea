"""The real SDKs and SQLite behind the ports. Nothing else imports azure.*."""
