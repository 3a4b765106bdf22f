"""Tables and pages that describe the methods and the installation."""
