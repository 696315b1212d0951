<?php
// Receives webhooks: `SECRET=whsec_… INBOX=inbox php -S 127.0.0.1:9000 receive.php`.
//
// A delivery is verified, put aside and answered; what it asks for is done later, by whoever works off
// INBOX. verify.php is the PHP block of ../../verify.md.
declare(strict_types=1);

require __DIR__ . '/verify.php';

const BODY_BYTES_MAX = 2 * 1024 * 1024;

// A file named for the delivery's id: one that comes again finds it there.
function put_aside(string $inbox, string $id, string $body): bool
{
    if (file_exists("$inbox/$id.json")) {
        return true;
    }
    // Two requests that bring the same delivery at once do not share a draft.
    $draft = tempnam($inbox, 'draft');
    $written = file_put_contents($draft, $body) === strlen($body);
    return $written && rename($draft, "$inbox/$id.json");
}

function receive(): int
{
    $body = file_get_contents('php://input', false, null, 0, BODY_BYTES_MAX + 1);
    if (strlen($body) > BODY_BYTES_MAX) {
        return 413;
    }
    if (!verify_standard((string) getenv('SECRET'), $_SERVER, $body)) {
        return 401;
    }
    $inbox = getenv('INBOX') ?: 'inbox';
    if (!is_dir($inbox)) {
        mkdir($inbox, 0700, true);
    }
    // It could not be put aside: Hookfleet comes again.
    return put_aside($inbox, $_SERVER['HTTP_WEBHOOK_ID'], $body) ? 204 : 500;
}

http_response_code(receive());
