<?php
// One request of a shop: php session.php SESSION_ID. Counts the visits in the session, and prints the count.
session_id($argv[1]);
if (!session_start()) {
    fwrite(STDERR, "the session does not start\n");
    exit(1);
}
$_SESSION["visits"] = ($_SESSION["visits"] ?? 0) + 1;
echo $_SESSION["visits"], "\n";
if (($argv[2] ?? "") === "destroy")
    session_destroy();
