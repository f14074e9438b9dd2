"""What an internal system uses to ask Watchbill before it shows data: clients, fail modes, middleware (docs/guard-your-app.md)."""
