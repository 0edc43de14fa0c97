using System;
using System.Collections.Generic;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace GameApi.Tests
{
    /// <summary>
    /// A local HTTP server that answers each request with the next reply of a script, for what a healthy service does
    /// not do. One connection takes one request. After the script, connections are refused.
    /// </summary>
    internal sealed class ScriptedServer : IDisposable
    {
        /// <summary>Reads the request, and closes the connection without a response.</summary>
        internal const string Drop = "";

        /// <summary>Reads the request, and never answers.</summary>
        internal const string Hang = null;

        private readonly TcpListener listener = new TcpListener(IPAddress.Loopback, 0);
        private readonly ManualResetEventSlim disposed = new ManualResetEventSlim();
        private readonly string[] replies;

        internal ScriptedServer(params string[] replies)
        {
            this.replies = replies;
            listener.Start();
            Url = "http://127.0.0.1:" + ((IPEndPoint)listener.LocalEndpoint).Port;
            Wire = new RecordingTransport(new HttpClientTransport());
            Task.Run(ServeAsync);
        }

        internal RecordingTransport Wire { get; }

        internal string Url { get; }

        /// <summary>The requests so far, each as its head and body.</summary>
        internal List<string> Received { get; } = new List<string>();

        public void Dispose()
        {
            disposed.Set();
            listener.Stop();
        }

        internal static string Reply(string status, string body, params string[] headers) =>
            "HTTP/1.1 " + status + "\r\nConnection: close\r\nContent-Type: application/json\r\n"
            + string.Concat(Array.ConvertAll(headers, header => header + "\r\n"))
            + "Content-Length: " + Encoding.UTF8.GetByteCount(body) + "\r\n\r\n" + body;

        internal static string Problem(string status, string code, params string[] headers) =>
            Reply(
                status,
                "{\"type\":\"about:blank\",\"title\":\"t\",\"status\":" + status.Substring(0, 3)
                + ",\"detail\":\"d\",\"code\":\"" + code + "\",\"request_id\":\"r1\"}",
                headers);

        internal GameApiClient Client(RetryPolicy retries = null, TokenSource tokens = null) =>
            new GameApiClient(Url, Wire, retries, tokens);

        private async Task ServeAsync()
        {
            try
            {
                foreach (string reply in replies)
                {
                    using (TcpClient client = await listener.AcceptTcpClientAsync())
                    {
                        NetworkStream stream = client.GetStream();
                        Received.Add(ReadRequest(stream));
                        if (reply == Hang)
                        {
                            disposed.Wait();
                            return;
                        }
                        byte[] bytes = Encoding.UTF8.GetBytes(reply);
                        stream.Write(bytes, 0, bytes.Length);
                    }
                }
                listener.Stop();
            }
            catch (Exception) when (disposed.IsSet)
            {
                // The test is over.
            }
            catch (IOException)
            {
                // The client has closed the connection.
            }
        }

        private static string ReadRequest(Stream stream)
        {
            var text = new StringBuilder();
            int expected = -1;
            while (expected < 0 || text.Length < expected)
            {
                int next = stream.ReadByte();
                if (next < 0)
                {
                    break;
                }
                text.Append((char)next);
                if (expected < 0 && text.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
                {
                    expected = text.Length + ContentLength(text.ToString());
                }
            }
            return text.ToString();
        }

        private static int ContentLength(string head)
        {
            foreach (string line in head.Split('\n'))
            {
                if (line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase))
                {
                    return int.Parse(line.Substring("Content-Length:".Length));
                }
            }
            return 0;
        }
    }
}
