<?php
// Publishes an event: `php publish.php`. PHP 8 or later, without extensions.
declare(strict_types=1);

const TRIES = 8;

// Returns once the event is durable. $key makes it one event, however often it is tried.
function publish(string $type, array $data, string $key): array
{
    $url = getenv('HOOKFLEET_URL') ?: 'http://127.0.0.1:8080';
    $tenant = getenv('HOOKFLEET_TENANT') ?: 'default';
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => [
            'Authorization: Bearer ' . getenv('HOOKFLEET_TOKEN'),
            'Content-Type: application/json',
            "Idempotency-Key: $key",
        ],
        'content' => json_encode(['type' => $type, 'data' => $data], JSON_THROW_ON_ERROR),
        'timeout' => 10,
        'ignore_errors' => true,
    ]]);
    for ($attempt = 0; $attempt < TRIES; $attempt++) {
        $wait = mt_rand() / mt_getrandmax() * min(30, 2 ** $attempt);
        $http_response_header = [];
        $answer = @file_get_contents("$url/v1/tenants/$tenant/events", false, $context);
        $status = (int) (explode(' ', $http_response_header[0] ?? '')[1] ?? 0);
        if ($status >= 200 && $status < 300) {
            return json_decode($answer, true, 512, JSON_THROW_ON_ERROR);
        }
        // What was refused once is refused again; what was too much, or fails there, is not. Nor is
        // no answer (0): it may or may not be durable, and the same key finds out.
        if ($status !== 0 && $status !== 429 && $status < 500) {
            throw new RuntimeException("refused: $answer");
        }
        foreach ($http_response_header as $line) {
            if (stripos($line, 'Retry-After:') === 0) {
                $wait = max($wait, (float) substr($line, strlen('Retry-After:')));
            }
        }
        usleep((int) ($wait * 1_000_000));
    }
    throw new RuntimeException('not published after ' . TRIES . ' tries');
}

echo json_encode(publish('order.paid', ['order' => 42], 'order-42-paid')), "\n";
