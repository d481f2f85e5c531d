"""What live pages are made of: parts, cells, and the differences that a socket sends."""
