using System;
using System.Threading;
using System.Threading.Tasks;

namespace GameApi.Tests
{
    /// <summary>Sends every request to the real service, and loses the response to the first one.</summary>
    internal sealed class LossyTransport : ITransport
    {
        private readonly ITransport transport = new HttpClientTransport();

        internal int Sent { get; private set; }

        public async Task<TransportResponse> SendAsync(TransportRequest request, CancellationToken cancellationToken)
        {
            TransportResponse response = await transport.SendAsync(request, cancellationToken);
            Sent++;
            if (Sent == 1)
            {
                throw new GameApiNetworkException("The connection was lost.");
            }
            return response;
        }

        public Task DelayAsync(TimeSpan delay, CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
