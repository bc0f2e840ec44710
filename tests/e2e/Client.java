// SPDX-License-Identifier: Apache-2.0
// A JVM's connection: an AF_INET6 socket and a v4-mapped address, unless told otherwise.

import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.charset.StandardCharsets;

public class Client {
	public static void main(String[] args) throws Exception {
		var connection = (HttpURLConnection) URI.create(args[0]).toURL().openConnection();
		try (var body = connection.getInputStream()) {
			System.out.println(new String(body.readAllBytes(), StandardCharsets.UTF_8));
		}
	}
}
