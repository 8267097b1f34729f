<?php
// Counts the visits of a session: php -S 127.0.0.1:8000 -c redis.ini visits.php, at every server.
if (!session_start()) {
    http_response_code(503);
    exit("The session cannot be reached at the moment.\n");
}
$_SESSION["visits"] = ($_SESSION["visits"] ?? 0) + 1;
header("Content-Type: text/plain");
echo $_SESSION["visits"], "\n";
