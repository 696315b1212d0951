<?php
// `check.php VECTORS`: what verify.php, from docs/verify.md, says to each vector, a line each.
declare(strict_types=1);

require __DIR__ . '/verify.php';

function verdict(array $vector): bool
{
    ['secret' => $secret, 'signature' => $signature, 'body' => $body] = $vector;
    $server = [
        'HTTP_WEBHOOK_ID' => $vector['id'],
        'HTTP_WEBHOOK_TIMESTAMP' => $vector['timestamp'],
        'HTTP_WEBHOOK_SIGNATURE' => $signature,
    ];
    return match ($vector['scheme']) {
        'standard' => verify_standard($secret, $server, $body, $vector['now']),
        'hex' => verify_hex($secret, $signature, $body),
        'sha256' => verify_sha256($secret, $signature, $body),
    };
}

foreach (json_decode(file_get_contents($argv[1]), true, flags: JSON_THROW_ON_ERROR) as $vector) {
    echo verdict($vector) ? 'true' : 'false', "\n";
}
