"""What a worker may have: reading its manifest, folders to mount, and the grant made of both."""
