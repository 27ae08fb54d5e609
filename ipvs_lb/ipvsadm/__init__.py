"""The language of ipvsadm: what its `-S` writes and its `-R` reads."""
