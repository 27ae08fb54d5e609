"""ldirectord.cf: its lines as settings of the file and of each virtual service, and what they declare."""
