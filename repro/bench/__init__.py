"""How fast networks are trained here, beside what people would use instead: `make bench`."""
