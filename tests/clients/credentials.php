<?php
// SPDX-License-Identifier: Apache-2.0
// Ask AsyncAws for credentials, by its default chain; with --again once more for each line of the input.
require 'AsyncAws/Core/autoload.php';

use AsyncAws\Core\Configuration;
use AsyncAws\Core\Credentials\CacheProvider;
use AsyncAws\Core\Credentials\ChainProvider;

$option = $argv[1] ?? '';
if ('--version' === $option) {
    echo trim(shell_exec("dpkg-query -W -f '\${Version}' php-async-aws-core")), "\n";
    exit;
}
$provider = new CacheProvider(ChainProvider::createDefaultChain());
function ask($provider)
{
    $credentials = $provider->getCredentials(Configuration::create([]));
    if (null === $credentials) {
        echo "none\n";
        exit(1);
    }
    echo 'accessKeyId=', $credentials->getAccessKeyId(), "\n";
}
ask($provider);
while ('--again' === $option && false !== fgets(STDIN)) {
    ask($provider);
}
