using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Newtonsoft.Json.Linq;

namespace GameApi.Tests
{
    /// <summary>Passes everything on to a real transport, and keeps what was sent and received.</summary>
    internal sealed class RecordingTransport : ITransport
    {
        private readonly ITransport transport;

        internal RecordingTransport(ITransport transport)
        {
            this.transport = transport;
        }

        internal List<TransportRequest> Requests { get; } = new List<TransportRequest>();

        internal List<TransportResponse> Responses { get; } = new List<TransportResponse>();

        internal List<TimeSpan> Delays { get; } = new List<TimeSpan>();

        internal string SentBody => Requests[Requests.Count - 1].Body;

        internal JObject ReceivedBody => Json.Parse(Responses[Responses.Count - 1].Body);

        public async Task<TransportResponse> SendAsync(TransportRequest request, CancellationToken cancellationToken)
        {
            Requests.Add(request);
            TransportResponse response = await transport.SendAsync(request, cancellationToken);
            Responses.Add(response);
            return response;
        }

        /// <summary>Does not wait, so that the tests of long delays are fast.</summary>
        public Task DelayAsync(TimeSpan delay, CancellationToken cancellationToken)
        {
            Delays.Add(delay);
            cancellationToken.ThrowIfCancellationRequested();
            return Task.CompletedTask;
        }
    }
}
