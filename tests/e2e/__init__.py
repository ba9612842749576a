"""The login page, client and panel in a browser: a package, so that the browser ends with its tests."""
